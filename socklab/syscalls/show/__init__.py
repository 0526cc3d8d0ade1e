"""What shows the arguments of system calls, by kind; imported when a call is first decoded."""
