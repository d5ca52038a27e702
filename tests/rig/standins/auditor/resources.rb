# frozen_string_literal: true

require 'shellwords'
require_relative 'errors'

module StandIn
  # The resources that the stand-in evaluates. Each asks the target, with the commands that InSpec uses or simpler ones.
  module Resources
    # Resources of InSpec that are missing here: their use is an error of the stand-in, not of the profile.
    MISSING = %w[
      aide_conf apache apache_conf apt auditd auditd_conf bash chrony_conf cpan cron crontab csv default_gateway dh_params
      docker docker_container docker_image docker_service elasticsearch etc_fstab etc_group etc_hosts filesystem firewalld
      gem group groups grub_conf host http inetd_conf ini interface interfaces ip6tables iptables json kernel_module
      kernel_parameter kernel_parameters key_rsa limits_conf linux_kernel_parameter login_defs mail_alias mount mysql
      mysql_conf mysql_session nftables nginx nginx_conf npm ntp_conf oracledb_session os_env packages parse_config
      parse_config_file passwd pip postfix_conf postgres postgres_conf postgres_session powershell processes
      registry_key routing_table runit_service script security_policy selinux shadow ssh_config ssh_key
      sshd_active_config ssl sys_info systemd_service sysv_service timezone toml upstart_service users virtualization
      windows_feature x509_certificate x509_private_key xinetd_conf xml yaml yum zfs_dataset zfs_pool
    ].freeze

    # What all resources share.
    class Resource
      # Properties of InSpec that are missing here.
      def self.missing(*names)
        names.each do |name|
          define_method(name) { |*| raise CannotEvaluate, "the property #{name} of #{self}" }
        end
      end

      def initialize(target)
        @target = target
      end

      def inspect
        to_s
      end

      private

      def ask(*command)
        @target.run(command.map { |word| Shellwords.escape(word) }.join(' '))
      end
    end

    # file('/etc/motd'), directory('/srv')
    class File < Resource
      missing :sha256sum, :md5sum, :selinux_label, :file_version, :product_version, :mounted?, :inherited?
      missing :allowed?, :readable?, :writable?, :setuid?, :setgid?, :sticky?, :more_permissive_than?, :basename, :source

      TYPES = { 'directory' => 'directory', 'regular' => 'file', 'socket' => 'socket', 'fifo' => 'pipe',
                'block' => 'block_device', 'character' => 'character_device' }.freeze

      attr_reader :path

      def initialize(target, path)
        super(target)
        @path = path
      end

      def to_s
        "File #{@path}"
      end

      def exist?
        ask('test', '-e', @path).exit_status.zero? || symlink?
      end

      def symlink?
        ask('test', '-L', @path).exit_status.zero?
      end

      def link_path
        symlink? ? ask('readlink', '-f', @path).stdout.chomp : nil
      end

      def shallow_link_path
        symlink? ? ask('readlink', @path).stdout.chomp : nil
      end

      def content
        read = ask('cat', @path)
        read.exit_status.zero? ? read.stdout : nil
      end

      def mode
        stat[0]&.oct
      end

      def owner
        stat[1]
      end

      def group
        stat[2]
      end

      def size
        stat[3]&.to_i
      end

      def type
        TYPES[stat[4].to_s.split.first]&.to_sym
      end

      def file?
        type == :file
      end

      def directory?
        type == :directory
      end

      def executable?
        !mode.nil? && (mode & 0o111).positive?
      end

      def owned_by?(user)
        owner == user
      end

      def grouped_into?(name)
        group == name
      end

      private

      def stat
        @stat ||= ask('stat', '-L', '-c', "%a\t%U\t%G\t%s\t%F", @path).stdout.chomp.split("\t")
      end
    end

    # package('chrony')
    class Package < Resource
      missing :held?, :latest?

      def initialize(target, name)
        super(target)
        @name = name
      end

      def to_s
        "System Package #{@name}"
      end

      def installed?
        !version.nil?
      end

      def version
        status, version = if @target.platform[:family] == 'debian'
                            ask('dpkg-query', '-W', '-f', "${Status}\t${Version}", @name).stdout.split("\t")
                          else
                            ask('rpm', '-q', '--qf', "installed\t%{VERSION}-%{RELEASE}", @name).stdout.split("\t")
                          end
        status&.end_with?('installed') && !status.end_with?('not-installed') ? version : nil
      end
    end

    # service('chrony'), of systemd only
    class Service < Resource
      missing :params, :startmode, :startname, :runlevels, :monitored?

      def initialize(target, name)
        super(target)
        @name = name
      end

      def to_s
        "Service #{@name}"
      end

      def installed?
        show('LoadState') == 'loaded'
      end

      def enabled?
        ask('systemctl', 'is-enabled', '--quiet', @name).exit_status.zero?
      end

      def running?
        show('ActiveState') == 'active'
      end

      private

      def show(property)
        ask('systemctl', 'show', "--property=#{property}", '--value', @name).stdout.chomp
      end
    end

    # command('sshd -t')
    class Command < Resource
      def initialize(target, command)
        super(target)
        @command = command
      end

      def to_s
        "Command: `#{@command}`"
      end

      %i[stdout stderr exit_status].each do |name|
        define_method(name) { (@result ||= @target.run(@command))[name] }
      end

      def exist?
        ask('sh', '-c', 'command -v "$0"', @command).exit_status.zero?
      end
    end

    # port(22), TCP only
    class Port < Resource
      missing :addresses, :processes, :protocols, :pids

      LISTEN = '0A'

      def initialize(target, port)
        super(target)
        @port = Integer(port)
      end

      def to_s
        "Port #{@port}"
      end

      def listening?
        lines = @target.run('cat /proc/net/tcp /proc/net/tcp6').stdout.lines.map(&:split)
        lines.any? { |_, local, _, state| state == LISTEN && local.split(':').last.to_i(16) == @port }
      end
    end

    # user('admin')
    class User < Resource
      missing :mindays, :maxdays, :warndays, :badpasswordattempts, :lastlogin, :disabled?, :password_expired?

      def initialize(target, name)
        super(target)
        @name = name
      end

      def to_s
        "User #{@name}"
      end

      def exist?
        !entry.empty?
      end

      def uid
        entry[2]&.to_i
      end

      def gid
        entry[3]&.to_i
      end

      def home
        entry[5]
      end

      def shell
        entry[6]
      end

      def group
        exist? ? ask('id', '-gn', @name).stdout.chomp : nil
      end

      def groups
        exist? ? ask('id', '-Gn', @name).stdout.split : []
      end

      private

      def entry
        @entry ||= ask('getent', 'passwd', @name).stdout.chomp.split(':', -1)
      end
    end

    # sshd_config: its('PermitRootLogin'). A file that cannot be read skips the checks, as in InSpec.
    class SshdConfig < Resource
      attr_reader :skip_message

      def initialize(target, path = '/etc/ssh/sshd_config')
        super(target)
        @path = path
        content = File.new(target, path).content
        @skip_message = "Can't find file: #{path}" unless content
        @values = content.to_s.scan(/^\s*(\w+)[\s=]+(.*?)\s*$/).group_by { |name, _| name.downcase }
      end

      def to_s
        'SSHD Configuration'
      end

      def method_missing(name, *)
        values = @values.fetch(name.to_s.downcase, []).map(&:last)
        values.size > 1 ? values : values.first
      end

      def respond_to_missing?(*)
        true
      end
    end

    # os.debian?, os.name, os[:family], os.release
    class Os < Resource
      def to_s
        'Operating System Detection'
      end

      %i[name family release arch].each { |name| define_method(name) { @target.platform[name] } }

      %w[linux debian redhat amazon unix windows darwin bsd suse].each do |name|
        define_method(:"#{name}?") { [self.name, *@target.platform[:families]].include?(name) }
      end

      def [](name)
        @target.platform[name.to_sym]
      end

      def params
        @target.platform
      end
    end

    CLASSES = { 'file' => File, 'directory' => File, 'package' => Package, 'service' => Service, 'command' => Command,
                'port' => Port, 'user' => User, 'sshd_config' => SshdConfig, 'os' => Os, 'platform' => Os }.freeze

    # Makes the resource of a name; nil when InSpec has no such resource either.
    def self.make(target, name, arguments)
      raise CannotEvaluate, "the resource #{name}" if MISSING.include?(name.to_s)

      CLASSES[name.to_s]&.new(target, *arguments)
    end
  end
end
