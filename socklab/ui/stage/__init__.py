"""The stage: process, kernel, wire and other host in one drawing, as a pure function of a state and a size."""
