"""A margined account taken apart, so that a change redoes the parts that it touches and leaves the bits of all others."""
