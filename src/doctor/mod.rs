//! Says whether a machine can run an image: what is needed, what is there, what to do.
