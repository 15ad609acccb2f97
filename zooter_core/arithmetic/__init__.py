"""Small questions that have one exact answer: sums, equations, units, letters of a word, numbers in a row."""
