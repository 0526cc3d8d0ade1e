"""System calls, one entry each, a module for each family. `socklab.syscalls.rows` reads them."""
