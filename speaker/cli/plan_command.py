"""`speaker plan`: a stub"""

import click


@click.command()
def plan() -> None:
    """Show."""
