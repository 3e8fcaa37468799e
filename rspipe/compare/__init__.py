"""Compare pre-training methods: several objectives and seeds at equal compute, judged alike."""
