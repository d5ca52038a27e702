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
      profiles.each { |profile| profile.require_version(VERSION[/[\d.]+\d/]) }
      run(profiles)
      all = profiles.flat_map { |profile| [profile, *profile.dependencies.select(&:supported?)] }
      write_reports(target, all)
      exit_code(all)
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
      files.reduce({}, :merge).merge(words)
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

    # Reads the profile without a target; evaluates control files only with --legacy-check.
    def check
      read_options
      require_license
      profile = Profile.new(@profiles.first.to_s.chomp('/'))
      errors, warnings = findings(profile)
      valid = errors.empty?
      warnings.each { |each| warn each[:msg] }
      controls = profile.control_files.sum { |file| ::File.read(file).scan(/^\s*control\b/).size }
      if @options['format'] == 'json'
        summary = { valid: valid, timestamp: Time.now.iso8601, location: profile.folder, profile: profile.name,
                    controls: controls }
        puts JSON.generate({ summary: summary, errors: errors, warnings: warnings, offenses: [] })
      else
        puts "Location:    #{profile.folder}", "Profile:     #{profile.name}", "Controls:    #{controls}",
             "Valid:       #{valid}", '', "Summary:     #{errors.size} errors, #{warnings.size} warnings, 0 offenses"
      end
      valid ? 0 : 1
    end

    def findings(profile)
      about = ::File.join(profile.folder, 'inspec.yml')
      errors = []
      errors << finding(about, 0, 'Missing profile name in inspec.yml') unless profile.name
      errors << finding(about, 0, 'Missing profile version in inspec.yml') unless profile.metadata['version']
      fields = %w[title summary maintainer copyright license].reject { |field| profile.metadata[field] }
      warnings = fields.map { |field| finding(about, 0, "Missing profile #{field} in inspec.yml") }
      broken = profile.control_files.select { |file| syntax_error(file) }
      if profile.control_files.all? { |file| broken.include?(file) || !::File.read(file).match?(/^\s*(control|describe)\b/) }
        warnings << finding(nil, nil, 'No controls or tests were defined.')
      end
      errors += legacy_findings(profile, broken) if @options['legacy-check']
      [errors, warnings]
    end

    # Evaluates the control files against this machine.
    def legacy_findings(profile, broken)
      return broken.map { |file| finding(file, syntax_error(file)[/:(\d+):/, 1].to_i, syntax_error(file)) } if broken.any?

      local = Profile.new(profile.folder, target: Target.new('local://'))
      local.load
      local.failed? ? [finding(nil, nil, local.status_message.lines.first.chomp)] : []
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
