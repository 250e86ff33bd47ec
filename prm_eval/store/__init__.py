"""How bytes become validated typed values and back, in bounded memory; it knows neither pools nor submissions."""
