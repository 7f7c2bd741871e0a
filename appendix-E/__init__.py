"""LoRA: finetune a model through small matrices beside its frozen weights."""
