"""What is measured, and how; README.md says what each figure means. Not part of the job: nothing imports this."""
