"""The conversion of bytes to validated typed values and back, in bounded memory.

This room knows neither pools nor submissions.
"""
