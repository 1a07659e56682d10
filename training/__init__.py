"""Training of the embedded perception network: procedural panoramas, the training program, and its evaluation."""
