"""Where the samples of the batch lie in the tensors of a forward pass: by the trail of the data, else by experiment."""
