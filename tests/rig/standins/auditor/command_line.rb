# frozen_string_literal: true

require 'fileutils'
require 'json'
require 'open3'
require 'time'
require_relative 'profile'
require_relative 'target'

module StandIn
  # The command line, the reports and the exit code.
  class CommandLine
    # In the toolkit image it stands for the pinned version.
    VERSION_FILE = ::File.expand_path('../VERSION', __dir__)
    VERSION = (::File.file?(VERSION_FILE) ? ::File.read(VERSION_FILE).strip : '7.2.1-STAND-IN').freeze

    SWITCHES = %w[color create-lockfile distinct-exit show-progress sudo legacy-check].freeze
    VALUES = %w[target user port format chef-license log-level].freeze
    LISTS = %w[key-files reporter input input-file controls].freeze
    SHORT = { '-t' => '--target', '-i' => '--key-files' }.freeze

    COLORS = { 'passed' => "\033[38;5;41m", 'failed' => "\033[38;5;9m", 'skipped' => "\033[38;5;247m" }.freeze
    SIGNS = { 'passed' => '✔', 'failed' => '×', 'skipped' => '↺' }.freeze

    def initialize(program, words)
      @program = program
      @command, *@words = words
      @options = { 'color' => true, 'create-lockfile' => true, 'distinct-exit' => true, 'reporter' => ['cli'] }
      @profiles = []
    end

    def call
      case @command
      when 'version', '--version', '-v' then say_version
      when 'exec' then execute
      when 'check' then check
      else
        warn "Could not find command #{@command.to_s.inspect}."
        1
      end
    rescue Stop, CannotEvaluate => e
      warn e.message
      1
    end

    private

    def say_version
      warn "#{@program} STAND-IN"
      puts VERSION
      0
    end

    # Unknown options are taken for profiles.
    def read_options
      words = @words.flat_map { |word| word.start_with?('--') && word.include?('=') ? word.split('=', 2) : [word] }
      until words.empty?
        word = SHORT.fetch(words.first, words.first)
        words.shift
        name = word.delete_prefix('--')
        if !word.start_with?('--') then @profiles << word
        elsif SWITCHES.include?(name.delete_prefix('no-')) then @options[name.delete_prefix('no-')] = !name.start_with?('no-')
        elsif VALUES.include?(name) then @options[name] = words.shift
        elsif LISTS.include?(name) then @options[name] = words.shift(words.index { |each| each.start_with?('-') } || words.size)
        elsif name == 'enhanced-outcomes' then raise CannotEvaluate, "--#{name}"
        else @profiles << word
        end
      end
    end

    # Accepts the license as CHEF_LICENSE asks; a program called `inspec` also needs a key from version 6 on.
    def require_license
      if %w[accept accept-silent].include?(ENV['CHEF_LICENSE'])
        home = Process.uid.zero? ? "#{ENV.fetch('STAND_IN_ETC', '/etc')}/chef" : "#{Dir.home}/.chef"
        FileUtils.mkdir_p("#{home}/accepted_licenses")
        ::File.write("#{home}/accepted_licenses/inspec", "name: Chef InSpec\n")
      end
      @program != 'inspec' || VERSION.to_i < 6 || ENV['CHEF_LICENSE_KEY']
    end

    def execute
      unless require_license
        warn 'Chef InSpec cannot execute without valid licenses.'
        return 174
      end
      read_options
      @began = Time.now
      target = Target.new(@options.fetch('target', 'local://'), keys: @options.fetch('key-files', []),
                          user: @options['user'], port: @options['port'], sudo: @options['sudo'])
      profiles = @profiles.map { |folder| Profile.new(folder.chomp('/'), target: target, inputs: read_inputs) }
      profiles.each { |profile| require_readable(profile.folder) }
      profiles.each { |profile| profile.require_version(VERSION[/[\d.]+\d/]) }
      run(profiles)
      all = profiles.flat_map { |profile| [profile, *profile.dependencies.select(&:supported?)] }
      write_reports(target, all)
      exit_code(all)
    end

    # rspec joins the path with its own texts, which are UTF-8.
    def require_readable(folder)
      return if folder.ascii_only? || !folder.start_with?('/') || folder.encoding == Encoding::UTF_8

      raise Stop, "incompatible character encodings: UTF-8 and #{folder.encoding} (Encoding::CompatibilityError)"
    end

    def run(profiles)
      profiles.each do |profile|
        profile.write_lock if @options['create-lockfile']
        next unless profile.supported?

        profile.require_inputs
        profile.load
        wanted = @options['controls']
        profile.controls.select! { |id, _| wanted.include?(id) } if wanted
      end
      profiles.flat_map { |profile| [profile, *profile.dependencies] }.each(&:run)
    end

    def read_inputs
      files = @options.fetch('input-file', []).map { |file| YAML.safe_load(::File.read(file)) }
      words = @options.fetch('input', []).to_h { |word| word.split('=', 2) }
      files.reduce({}, :merge).merge(words.transform_values { |word| YAML.safe_load(word) })
    end

    def exit_code(profiles)
      distinct = @options['distinct-exit']
      results = profiles.flat_map { |profile| profile.controls.values.flat_map(&:results) }
      states = results.map { |result| result[:status] }
      return distinct ? 102 : 1 if profiles.any?(&:failed?)
      return distinct ? 100 : 1 if states.include?('failed')
      return distinct ? 101 : 0 if states.include?('skipped') || profiles.first && !profiles.first.supported?

      0
    end

    def write_reports(target, profiles)
      @options['reporter'].each do |reporter|
        kind, file = reporter.split(':', 2)
        text = case kind
               when 'cli' then "#{cli(target, profiles).join("\n")}\n"
               when 'json' then JSON.generate(json(target, profiles))
               else raise CannotEvaluate, "the reporter #{kind}"
               end
        next $stdout.write(text) if file.nil? || file == '-'

        FileUtils.mkdir_p(::File.dirname(file))
        ::File.write(file, text)
      end
    end

    def json(target, profiles)
      machine = target.platform
      { platform: { name: machine[:name], release: machine[:release], target_id: '' }, profiles: profiles.map(&:report),
        statistics: { duration: Time.now - @began }, version: VERSION }
    end

    def cli(target, profiles)
      lines = ["#{@program} STAND-IN: evaluates a part of InSpec's resources"]
      profiles.each { |profile| lines += cli_of(target, profile.report) }
      results = profiles.flat_map { |profile| profile.report[:controls].flat_map { |control| control[:results] } }
      passed, failed, skipped = SIGNS.keys.map { |status| results.count { |result| result[:status] == status } }
      [*lines, '', "Test Summary: #{passed} successful, #{failed} #{failed == 1 ? 'failure' : 'failures'}, #{skipped} skipped"]
    end

    def cli_of(target, profile)
      return [profile[:status_message]] if profile[:status] == 'skipped'

      lines = ['', "Profile: #{profile[:title] || profile[:name]} (#{profile[:name] || 'unknown'})",
               "Version: #{profile[:version] || '(not specified)'}", "Target:  #{target.uri}", '']
      lines.insert(3, "Failure Message: #{profile[:status_message]}") if profile[:status] == 'failed'
      shown = profile[:controls].reject { |control| control[:results].empty? }
      shown.each do |control|
        lines << "  #{control[:id]}: #{control[:title]}"
        control[:results].each do |result|
          text = [result[:skip_message] || result[:code_desc], result[:message]].compact.join("\n     ")
          lines << paint(result[:status], "     #{SIGNS[result[:status]]}  #{text}")
        end
      end
      shown.empty? ? [*lines, '     No tests executed.'] : lines
    end

    def paint(status, text)
      @options['color'] ? "#{COLORS[status]}#{text}\033[0m" : text
    end

    # Reads the text of the profile. With --legacy-check it evaluates the control files, without a machine.
    def check
      read_options
      require_license
      profile = Profile.new(@profiles.first.to_s.chomp('/'), target: NoMachine.new, check_only: true)
      errors, warnings = about_metadata(profile)
      controls = @options['legacy-check'] ? evaluate(profile) : profile.control_files.flat_map { |file| controls_of(file) }
      warnings << finding(nil, nil, 'No controls or tests were defined.') if controls.empty?
      controls.each { |control| warnings.concat(about_control(**control)) }
      print_check(profile, errors, warnings, controls.size)
    end

    def print_check(profile, errors, warnings, count)
      valid = errors.empty?
      [*errors, *warnings].each { |each| warn "WARN: #{each[:msg]}" }
      if @options['format'] == 'json'
        summary = { valid: valid, timestamp: Time.now.iso8601, location: profile.folder, profile: profile.name,
                    controls: count }
        puts JSON.generate({ summary: summary, errors: errors, warnings: warnings, offenses: [] })
      else
        puts "Location:    #{profile.folder}", "Profile:     #{profile.name}", "Controls:    #{count}",
             "Valid:       #{valid}", '', "Summary:     #{errors.size} errors, #{warnings.size} warnings, 0 offenses"
      end
      valid ? 0 : 1
    end

    def about_metadata(profile)
      about = ::File.join(profile.folder, 'inspec.yml')
      errors = %w[name version].reject { |field| profile.metadata[field] }
      errors.map! { |field| finding(about, 0, "Missing profile #{field} in inspec.yml") }
      if profile.metadata['depends'] && !::File.exist?(::File.join(profile.folder, 'inspec.lock'))
        errors << finding(about, 0, 'Your profile needs to be vendored with `inspec vendor`.')
      end
      fields = %w[title summary maintainer copyright license].reject { |field| profile.metadata[field] }
      [errors, fields.map { |field| finding(about, 0, "Missing profile #{field} in inspec.yml") }]
    end

    # A describe that no control is around gets a generated id, about which nothing is reported.
    def about_control(id:, file:, line:, title:, desc:, impact:, tests:)
      return [] if id.start_with?('(generated ')

      messages = []
      messages << 'has no title' if title.to_s.empty?
      messages << 'has no descriptions' if desc.to_s.empty?
      messages << 'has impact > 1.0' if impact.to_f > 1.0
      messages << 'has impact < 0.0' if impact.to_f.negative?
      messages << 'has no tests defined' unless tests
      messages.map { |message| { **finding(file, line, "Control #{id} #{message}"), column: nil, control_id: id } }
    end

    # What the text shows, as the real program reads it from the syntax tree.
    def controls_of(file)
      return [] if syntax_error(file)

      ::File.read(file, encoding: 'UTF-8').scan(/^( *)control[ (]+(['"])(.+?)\2(.*?)^\1end$/m).map do |_, _, id, body|
        line = ::File.read(file, encoding: 'UTF-8')[/.*?control[ (]+['"]#{Regexp.escape(id)}/m].count("\n") + 1
        { id: id, file: file, line: line, title: body[/^\s*title\s+(.+)/, 1], desc: body[/^\s*desc\s+(.+)/, 1],
          impact: body[/^\s*impact[ (]+([-\d.]+)/, 1] || 0.5, tests: body.match?(/^\s*describe\b|^\s*expect\b/) }
      end
    end

    # An error at the top level of a control file is a traceback; nothing is printed as JSON then.
    def evaluate(profile)
      profile.load
      if profile.failed?
        raise Stop, "/opt/inspec/lib/inspec/profile.rb:280:in `rescue in block in collect_tests': #{profile.status_message} " \
                    "(Inspec::Exceptions::ProfileLoadFailed)\n#{profile.failed_at}:in `load_with_context'"
      end
      profile.controls.values.map(&:for_check)
    end

    def syntax_error(file)
      RubyVM::InstructionSequence.compile_file(file)
      nil
    rescue SyntaxError => e
      e.message.lines.first.chomp
    end

    def finding(file, line, message)
      { file: file, line: line, column: line && 0, control_id: nil, msg: message }
    end
  end
end
