"""What the addon costs in time and memory, beside a mitmdump without it and one with an addon that does nothing."""
