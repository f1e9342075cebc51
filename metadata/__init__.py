"""The bundled metadata base: tables of tasks, configurations and runs, and the meta-model trained on them."""
