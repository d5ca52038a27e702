# frozen_string_literal: true

require_relative 'errors'
require_relative 'resources'

module StandIn
  # What `should` and `is_expected.to` take: a description, and a test of the value.
  Matcher = Struct.new(:description, :test)

  # The words inside `it { }` and `its('x') { }`.
  class Example
    # A condition such as `be > 1`.
    class Be
      %i[> >= < <= ==].each do |operator|
        define_method(operator) do |expected|
          Matcher.new("be #{operator} #{expected.inspect}", ->(actual) { actual.public_send(operator, expected) })
        end
      end
    end

    # The right side of `is_expected.to` and `expect(value).to`.
    class Expectation
      def initialize(example, value)
        @example = example
        @value = value
      end

      def to(matcher)
        @example.judge(@value, matcher, true)
      end

      def not_to(matcher)
        @example.judge(@value, matcher, false)
      end
      alias to_not not_to
    end

    attr_reader :outcome

    def initialize(value)
      @value = value
    end

    def judge(value, matcher, wanted)
      description = "is expected #{'not ' unless wanted}to #{matcher.description}"
      message = matcher.test.call(value) ? nil : "expected #{value.inspect} to #{matcher.description}"
      unless wanted
        message = message ? nil : "expected #{value.inspect} not to #{matcher.description}"
      end
      @outcome = [description, message]
    end

    def should(matcher)
      judge(@value, matcher, true)
    end

    def should_not(matcher)
      judge(@value, matcher, false)
    end

    def is_expected # rubocop:disable Naming/PredicateName
      Expectation.new(self, @value)
    end

    def expect(value)
      Expectation.new(self, value)
    end

    def eq(expected)
      Matcher.new("eq #{expected.inspect}", ->(actual) { actual == expected })
    end

    # InSpec's loose comparison: case, numbers in strings, file modes.
    def cmp(expected)
      test = lambda do |actual|
        case expected
        when Regexp then expected.match?(actual.to_s)
        when /\A0[0-7]+\z/ then actual == (actual.is_a?(Integer) ? expected.oct : expected)
        else actual.to_s.casecmp?(expected.to_s)
        end
      end
      Matcher.new("cmp == #{expected.inspect}", test)
    end

    def match(expected)
      Matcher.new("match #{expected.inspect}", ->(actual) { Regexp.new(expected).match?(actual.to_s) })
    end

    def include(expected)
      Matcher.new("include #{expected.inspect}", ->(actual) { !actual.nil? && actual.include?(expected) })
    end

    def exist
      Matcher.new('exist', ->(actual) { actual.exist? }) # rubocop:disable Style/SymbolProc
    end

    def be(*expected)
      return Be.new if expected.empty?

      Matcher.new("equal #{expected.first.inspect}", ->(actual) { actual.equal?(expected.first) })
    end

    def method_missing(name, *arguments)
      return super unless name.start_with?('be_')

      Matcher.new([name.to_s.tr('_', ' '), *arguments].join(' '),
                  ->(actual) { actual.public_send(:"#{name.to_s.delete_prefix('be_')}?", *arguments) })
    end

    def respond_to_missing?(name, *)
      name.start_with?('be_') || super
    end
  end

  # A describe block: collects its examples, and runs them.
  class Describe
    def initialize(subject, resources, block)
      @subject = subject
      @resources = resources
      @block = block
      @results = []
    end

    def call
      unevaluable = @subject.respond_to?(:skip_message) && @subject.skip_message
      unevaluable ? skip(unevaluable) : instance_eval(&@block)
      @skipped ? [{ status: 'skipped', code_desc: @subject.to_s, skip_message: @skipped }] : @results
    end

    def it(_description = nil, &block)
      add(@subject.to_s) { @subject }.call(block)
    end

    def its(property, &block)
      add("#{@subject} #{property}") do
        property.to_s.split('.').reduce(@subject) { |value, name| value.public_send(name) }
      end.call(block)
    end

    def skip(reason)
      @skipped = reason
    end

    %i[describe context before after let subject].each do |word|
      define_method(word) { |*, &_| raise CannotEvaluate, "#{word} inside describe" }
    end

    def method_missing(name, *arguments)
      @resources.public_send(name, *arguments)
    end

    def respond_to_missing?(name, *)
      @resources.respond_to?(name)
    end

    private

    # Returns what runs an example and adds its result. A property that does not exist is a failure.
    def add(title, &value)
      lambda do |block|
        example = Example.new(value.call)
        example.instance_eval(&block)
        description, message = example.outcome
        result = { status: message ? 'failed' : 'passed', code_desc: "#{title} #{description}", message: message }
        @results << result.compact
      rescue StandardError => e
        @results << { status: 'failed', code_desc: title, message: e.message.lines.first.chomp, exception: e.class.name }
      end
    end
  end
end
