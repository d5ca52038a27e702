# frozen_string_literal: true

module StandIn
  # The run ends with exit code 1 and this line, as the real program's does.
  class Stop < StandardError
  end

  # The stand-in lacks what the profile asks for. Not a StandardError: a profile must not rescue it.
  class CannotEvaluate < Exception # rubocop:disable Lint/InheritException
    def initialize(what)
      super("cinc-auditor STAND-IN cannot evaluate #{what}: extend tests/rig/standins/auditor, or use the real program")
    end
  end
end
