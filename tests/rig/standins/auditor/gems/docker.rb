# frozen_string_literal: true

# STAND-IN for the gem docker, of which nothing is used: only whether it can be loaded matters.
