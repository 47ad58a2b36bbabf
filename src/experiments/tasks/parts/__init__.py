"""What several tasks share: decoding, errors, similarity, sums, schedules."""
