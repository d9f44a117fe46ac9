//! Forward and backward passes, optimisers and masked fine-tuning on the graph.
#![forbid(unsafe_code)]
