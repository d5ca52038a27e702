# frozen_string_literal: true

require 'digest'
require 'rubygems'
require 'yaml'
require_relative 'checks'

module StandIn
  # The words that control files and controls share: resources and inputs.
  module Words
    def input(name, options = {})
      @profile.input(name.to_s, options)
    end

    def method_missing(name, *arguments)
      Resources.make(@profile.target, name, arguments) || super
    end

    def respond_to_missing?(name, *)
      Resources::CLASSES.key?(name.to_s) || super
    end
  end

  # A control.
  class Control
    include Words

    attr_reader :id, :results

    def initialize(profile, id, location, code, block)
      @profile = profile
      @id = id
      @location = location
      @code = code
      @block = block
      @impact = 0.5
      @descriptions = {}
      @tags = {}
      @checks = []
      @results = []
    end

    # Reads the control's body. An error in it is a failed check, as in InSpec.
    def load(skip)
      @skip = skip
      return if @skip

      begin
        instance_eval(&@block)
      rescue StandardError => e
        @broken = e
      end
    end

    def run
      @results = if @skip then [{ status: 'skipped', code_desc: 'No-op', skip_message: @skip }]
                 elsif @broken
                   [{ status: 'failed', code_desc: 'Control Source Code Error', message: @broken.message.lines.first.chomp }]
                 else @checks.flat_map(&:call)
                 end
    end

    def title(text = nil)
      @title = text || @title
    end

    def desc(label, text = nil)
      @descriptions[text ? label.to_s : 'default'] = text || label
    end

    def impact(value)
      @impact = { 'none' => 0.0, 'low' => 0.1, 'medium' => 0.4, 'high' => 0.7, 'critical' => 0.9 }.fetch(value, value)
    end

    def tag(*tags)
      tags.each { |tag| tag.is_a?(Hash) ? @tags.merge!(tag) : @tags[tag] = nil }
    end

    def ref(*); end

    def only_if(message = nil)
      return if @skip || @profile.check_only || yield

      @skip = ['Skipped control due to only_if condition', message].compact.join(': ')
      @skip += '.' unless message
    end

    def describe(*subjects, &block)
      raise CannotEvaluate, 'describe.one' if subjects.empty?

      @checks << Describe.new(subjects.first, self, block)
    end

    def for_check
      { id: @id, file: @location[:ref], line: @location[:line], title: @title, desc: @descriptions['default'],
        impact: @impact, tests: @broken || @checks.any? }
    end

    def report
      { id: @id, title: @title, desc: @descriptions['default'],
        descriptions: @descriptions.map { |label, data| { label: label, data: data } },
        impact: @impact, refs: [], tags: @tags, code: @code, source_location: @location, waiver_data: {},
        results: @results.map { |result| { run_time: 0.001, start_time: Time.now.iso8601, **result } } }
    end
  end

  # The top level of a control file.
  class ControlFile
    include Words

    def initialize(profile, path, name)
      @profile = profile
      @path = path
      @name = name
      @lines = ::File.readlines(path, encoding: 'UTF-8')
    end

    def load
      instance_eval(@lines.join, @path)
    end

    def control(id, _options = {}, &block)
      line = block.source_location.last
      control = Control.new(@profile, id, { line: line, ref: @path }, @lines[line - 1].to_s, block)
      @profile.controls[id] = control # a second one of the same id replaces the first
      control.load(@skip)
    end

    def describe(*subjects, &block)
      line = block.source_location.last
      control("(generated from #{@name}:#{line} #{Digest::MD5.hexdigest("#{@path}#{line}")})") do
        describe(*subjects, &block)
      end
    end

    def only_if(message = nil)
      return if @profile.check_only || yield

      @skip = ['Skipped control due to only_if condition', message].compact.join(': ')
      @skip += '.' unless message
    end

    def title(*); end

    def include_controls(name)
      raise CannotEvaluate, 'include_controls with a block' if block_given?

      @profile.dependency(name)&.load
    end

    def require_controls(*)
      raise CannotEvaluate, 'require_controls'
    end
  end

  # A profile: a folder with inspec.yml and controls/.
  class Profile
    attr_reader :target, :controls, :folder, :metadata, :check_only, :failed_at

    def initialize(folder, target: nil, inputs: {}, parent: nil, check_only: false)
      @folder = folder
      @target = target
      @inputs = inputs
      @parent = parent
      @check_only = check_only
      @controls = {}
      unless ::File.file?(::File.join(folder, 'inspec.yml'))
        raise Stop, "Could not fetch inspec profile in #{folder.inspect} (Inspec::FetcherFailure)"
      end

      @metadata = read_metadata
    end

    def name
      @metadata['name']
    end

    # Refuses a version of the program that the profile does not accept.
    def require_version(version)
      wanted = @metadata['inspec_version']
      return if wanted.nil? || Gem::Requirement.new(wanted.split(',')).satisfied_by?(Gem::Version.new(version))

      raise Stop, "This profile requires InSpec version #{wanted}. You are running InSpec v#{version}."
    end

    def supported?
      return true if @check_only

      entries = @metadata['supports'] || []
      entries.empty? || entries.any? { |entry| entry.all? { |key, value| fits?(key, value.to_s) } }
    end

    def control_files
      Dir[::File.join(@folder, 'controls/**/*.rb')].sort
    end

    # Reads the control files of a profile that fits the machine. A syntax error ends the run.
    def load
      return unless supported?

      dependencies
      control_files.each do |path|
        name = path.delete_prefix("#{@folder}/")
        begin
          ControlFile.new(self, path, name).load
        rescue StandardError => e
          # The real message continues with the inspection of InSpec's own objects.
          inspection = ' #<Inspec::ControlEvalContext @skip_file=false>' * 400
          @failure = "Failed to load source for #{name}: #{e.message.lines.first.chomp} for#{inspection}\n  and more"
          @failed_at = e.backtrace.find { |place| place.start_with?(path) }.to_s[/.*?:\d+/]
          @controls.each_value { |control| control.results.clear }
          return
        rescue SyntaxError => e
          raise Stop, e.message
        end
      end
    end

    def run
      return unless loaded?

      # Without a name the real program does not know which profile a result belongs to, and drops all of them.
      @controls.each_value(&:run) if name
    end

    def loaded?
      supported? && !@failure
    end

    def failed?
      !@failure.nil?
    end

    def dependencies
      @dependencies ||= (@metadata['depends'] || []).map do |entry|
        raise CannotEvaluate, "a dependency without path: #{entry}" unless entry['path']

        folder = ::File.expand_path(entry['path'], @folder)
        Profile.new(folder, target: @target, inputs: @inputs, parent: name, check_only: @check_only)
      end
    end

    def dependency(name)
      wanted = dependencies.find { |profile| profile.name == name }
      raise StandardError, "Cannot load '#{name}' since it is not listed as a dependency of #{self.name}." unless wanted

      wanted if wanted.supported?
    end

    def input(name, options)
      declared = (@metadata['inputs'] || []).find { |each| each['name'] == name } || {}
      value = @inputs.fetch(name) { declared.fetch('value') { options[:value] } }
      raise Stop, "Input '#{name}' is required and does not have a value." if value.nil? && declared['required']

      value
    end

    # Inputs are checked when the profile is loaded, used or not.
    def require_inputs
      (@metadata['inputs'] || []).each { |each| input(each['name'], {}) }
    end

    def status_message
      return @failure.to_s if supported?

      machine = @target.platform
      "Skipping profile: '#{name}' on unsupported platform: '#{machine[:name]}/#{machine[:release]}'."
    end

    def report
      status = supported? ? (failed? ? 'failed' : 'loaded') : 'skipped' # rubocop:disable Style/NestedTernaryOperator
      controls = supported? ? @controls.values.map(&:report) : []
      groups = controls.group_by { |control| control[:source_location][:ref] }
      fields = { name: name, version: @metadata['version']&.to_s, sha256: Digest::SHA256.hexdigest(@folder),
                 title: @metadata['title'], maintainer: @metadata['maintainer'], summary: @metadata['summary'],
                 license: @metadata['license'], copyright: @metadata['copyright'],
                 supports: @metadata['supports'] || [], attributes: [], parent_profile: @parent,
                 depends: (dependencies.map(&:report_as_dependency) unless dependencies.empty?),
                 groups: groups.map { |ref, all| { id: ref, controls: all.map { |each| each[:id] } } },
                 controls: controls, status: status, status_message: status_message }.compact
      status == 'skipped' ? { **fields, skip_message: status_message } : fields
    end

    def report_as_dependency
      fields = { name: name, path: @folder, status: supported? ? 'loaded' : 'skipped' }
      supported? ? fields : { **fields, status_message: status_message, skip_message: status_message }
    end

    # `inspec.lock` appears where it is missing.
    def write_lock
      file = ::File.join(@folder, 'inspec.lock')
      return if !supported? || ::File.exist?(file) || !::File.writable?(@folder)

      ::File.write(file, { 'lockfile_version' => 1, 'depends' => dependencies.map { |each| { 'name' => each.name } } }.to_yaml)
    end

    private

    def read_metadata
      file = ::File.join(@folder, 'inspec.yml')
      metadata = YAML.safe_load(::File.read(file), aliases: true)
      metadata.is_a?(Hash) ? metadata : {}
    rescue Psych::SyntaxError => e
      raise Stop, "Unable to parse inspec.yml: line #{e.line}, #{e.problem} #{e.context}"
    end

    def fits?(key, value)
      machine = @target.platform
      names = [machine[:name], *machine[:families]]
      case key.tr('_', '-')
      when 'platform-name', 'os-name' then machine[:name] == value
      when 'platform-family', 'os-family' then machine[:families].include?(value)
      when 'os', 'platform' then names.include?(value)
      when 'release' then ::File.fnmatch(value, machine[:release])
      else false # a typo fits no machine
      end
    end
  end
end
