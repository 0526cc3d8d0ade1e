"""What keys and clicks do: plain objects that share one way to post commands and one view of the state."""
