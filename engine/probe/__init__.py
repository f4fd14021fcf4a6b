"""`exchange probe`: a desk's two last resorts, flatten and pause, tried again and again from outside as a member."""
