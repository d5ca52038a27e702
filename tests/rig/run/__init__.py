"""Programs as a user runs them: the toolkit, the tasks, a terminal."""
