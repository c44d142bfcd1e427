"""`python -m drivesim` lists the environments."""

from drivesim.registry import ENTRIES


def main() -> None:
    """Print one line per registered environment."""
    width = max(len(entry.id) for entry in ENTRIES)
    for entry in ENTRIES:
        print(f"{entry.id:{width}}  {entry.max_episode_steps:4d} steps  {entry.summary}")  # noqa: T201


if __name__ == "__main__":
    main()
