//! The product, used on itself: the scenarios of this repository against the embedded server.

tokpace::main!();
