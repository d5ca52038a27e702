# frozen_string_literal: true

# STAND-IN for the gem ed25519, of which nothing is used: only whether it can be loaded matters.
