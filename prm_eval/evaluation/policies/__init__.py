"""One reward model over the pools of several policies: does it help weak and strong ones alike?"""
