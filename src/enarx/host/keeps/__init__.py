"""The daemon's Keeps: launched, counted, watched until they are gone, erased."""
