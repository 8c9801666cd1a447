"""snakesteer: activation steering studies as a cached, traceable workflow."""
