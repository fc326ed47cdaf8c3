"""Texts that people write in flags, files and resources, and the values that they mean.

Pure: knows no flag, file or resource by name, and reads nothing from outside.
"""
