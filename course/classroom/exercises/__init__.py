"""The exercises' checks, one module per lesson: right answers and usual mistakes. Reading on spoils the exercises."""
