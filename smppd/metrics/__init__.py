"""What is measured, for Prometheus: the table of metrics, and the small HTTP server that shows it.

Nothing is counted here but the loop's own lateness and its passes: ``measures`` turns what the
daemon knows anyway into text, when somebody asks. It knows no store and no link, and hangs on
nothing.

Import its files by their names: who serves no page does not pay for prometheus_client (3 MB).
"""
