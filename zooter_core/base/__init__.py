"""What every other room stands on: records, errors, files, JSON lines, weights, plug-ins."""
