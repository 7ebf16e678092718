"""Small networks trained on the train split of a dataset, used where no pretrained one is present."""
