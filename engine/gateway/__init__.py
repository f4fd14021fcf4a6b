"""The gateway: REST and binary sessions in, frames to the core out. It keeps no order state, so it can be stopped and replaced at will."""
