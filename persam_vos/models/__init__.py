"""The networks: SAM's encoders, prompt encoder and mask decoder, and the checkpoints that fill them."""
