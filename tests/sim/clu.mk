# Simulation of whole clusters.
