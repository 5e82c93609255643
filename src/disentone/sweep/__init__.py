"""Many runs: how they are named, started, trained together and ended."""
