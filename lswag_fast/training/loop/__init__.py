"""The one training loop, and what it needs: batches and their changes, devices, the folder that it continues from."""
