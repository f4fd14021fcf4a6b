"""What one does with a log afterwards: snapshots, the book of any moment, an order's life, two builds compared, the end of a day.

Everything here reads the log that the core wrote and asks the native engine to apply it again (`engine._core.Replayer`); nothing
talks to a running core, and nothing but `snapshot` and `log repair` writes into a log folder.
"""
