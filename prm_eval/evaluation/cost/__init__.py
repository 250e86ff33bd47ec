"""Accuracy against cost: tokens written by the policy and read by reward models, and when to stop drawing."""
