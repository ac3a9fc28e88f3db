"""What the trainers of both systems share: data, augmentation, checkpoint."""
