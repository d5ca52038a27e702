# frozen_string_literal: true

require 'open3'
require 'shellwords'
require 'uri'
require_relative 'errors'

module StandIn
  # What `check` evaluates controls with: no file exists, and every command fails.
  class NoMachine
    def run(_command)
      Target::Result.new('', '', 1)
    end

    def platform
      { name: 'mock', family: 'mock', families: [], release: 'unknown', arch: 'unknown' }
    end
  end

  # A machine on which commands run, all of them in one session.
  class Target
    Result = Struct.new(:stdout, :stderr, :exit_status)

    MARK = 'STAND-IN-END-OF-COMMAND'
    SSH_TRIES = 5
    GEMS = File.expand_path('gems', __dir__)

    attr_reader :uri

    # Connects to local://, ssh://USER@HOST:PORT or docker://CONTAINER.
    def initialize(uri, keys: [], user: nil, port: nil, sudo: false)
      @uri = uri
      @scheme, _, @address = uri.partition('://')
      case @scheme
      when 'local'
        raise Stop, 'Sudo is only valid when running against a remote host.' if sudo

        open_session(%w[sh])
      when 'docker' then connect_docker
      when 'ssh' then connect_ssh(keys, user, port)
      else raise Stop, "Can't find train plugin #{@scheme}. Please install it first."
      end
      require_sudo if sudo
    end

    def run(command)
      line = "#{@sudo}sh -c #{Shellwords.escape(command)} </dev/null"
      @stdin.puts("#{line}; printf '\\n%s %d\\n' #{MARK} $?; printf '\\n%s\\n' #{MARK} >&2")
      @stdin.flush
      errors = Thread.new { read(@stderr).first }
      output, code = read(@stdout)
      raise Stop, "Transport error, the connection to #{@uri} was lost" unless code

      Result.new(output, errors.value, code)
    rescue Errno::EPIPE
      raise Stop, "Transport error, the connection to #{@uri} was lost"
    end

    # The platform as InSpec names it: name, family, its families, release.
    def platform
      @platform ||= begin
        release = run('cat /etc/os-release').stdout.scan(/^(\w+)="?([^"\n]*)"?$/).to_h
        name = { 'amzn' => 'amazon', 'rhel' => 'redhat' }.fetch(release['ID'], release['ID'])
        families = [name, *release.fetch('ID_LIKE', '').split]
        family = families.include?('debian') ? 'debian' : 'redhat'
        version = name == 'debian' ? run('cat /etc/debian_version').stdout.chomp : release['VERSION_ID'].to_s
        { name: name, family: family, families: [family, 'linux', 'unix', 'os'], release: version,
          arch: run('uname -m').stdout.chomp }
      end
    end

    private

    def open_session(command)
      @stdin, @stdout, @stderr, @process = Open3.popen3(*command)
    end

    # Reads up to the mark; the exit code is nil when the session has ended.
    def read(stream)
      lines = []
      while (line = stream.gets)
        if line.start_with?(MARK)
          return [lines.join.delete_suffix("\n").force_encoding('UTF-8'), line.split[1].to_i]
        end

        lines << line
      end
      [lines.join, nil]
    end

    # Of a Docker client's settings it knows the variables of the environment only, no contexts. It connects by TLS
    # where DOCKER_CERT_PATH is set, whatever its value and DOCKER_TLS_VERIFY are, and to sockets and TCP only.
    def connect_docker
      host = ENV.fetch('DOCKER_HOST', 'unix:///var/run/docker.sock')
      tls = ENV.fetch('DOCKER_CERT_PATH', nil)
      if tls == '' || (tls && host.start_with?('unix://'))
        raise Stop, "excon connection.rb: undefined method '+' for nil:NilClass (NoMethodError)"
      end

      connect_tcp(host, tls) unless host.start_with?('unix://')
      socket = host.delete_prefix('unix://')
      if host.start_with?('unix://') && !File.exist?(socket)
        raise Stop, "No such file or directory - connect(2) for #{socket} (Errno::ENOENT)"
      end

      open_session(['docker', '--host', host, 'exec', '-i', @address, 'sh'])
      run('true')
    rescue Stop => e
      raise unless e.message.include?('was lost')

      raise Stop, "Transport error, can't connect to 'docker' backend: No such container: #{@address}"
    end

    # Talks to the engine itself: Docker's client would find what the real program does not.
    def connect_tcp(host, tls)
      raise Stop, "getaddrinfo: Name or service not known (Excon::Error::Socket) for http://#{host}" unless host.start_with?('tcp://')

      missing = tls && %w[cert.pem key.pem ca.pem].find { |name| !File.file?(File.join(tls, name)) }
      raise Stop, "No such file or directory @ rb_sysopen - #{tls}/#{missing} (Errno::ENOENT)" if missing

      ENV['DOCKER_TLS_VERIFY'] = tls ? '1' : ''
    end

    def connect_ssh(keys, user, port)
      require_gems(keys)
      address = URI(@uri)
      command = ['ssh', *keys.flat_map { |key| ['-i', key] }, '-F', 'none', '-p', (address.port || port || 22).to_s,
                 *%w[BatchMode=yes IdentitiesOnly=yes ConnectTimeout=10 LogLevel=ERROR StrictHostKeyChecking=no
                     UserKnownHostsFile=/dev/null].flat_map { |option| ['-o', option] },
                 "#{address.user || user}@#{address.host}", 'sh']
      SSH_TRIES.times do |try|
        open_session(command)
        return run('true')
      rescue Stop
        reason = @stderr.closed? ? '' : @stderr.read.to_s.lines.last.to_s.chomp
        puts "[#{Time.now.iso8601}] WARN: [SSH] connection failed, retrying in 1 seconds (#{reason})"
        sleep 1 if try < SSH_TRIES - 1
      end
      raise Stop, "Transport error, can't connect to 'ssh' backend: SSH session could not be established"
    end

    # ssh, which connects here, needs no gems; net-ssh does.
    def require_gems(keys)
      return unless keys.any? { |key| File.file?(key) && File.read(key).include?('OPENSSH PRIVATE KEY') }

      $LOAD_PATH << GEMS
      %w[ed25519 bcrypt_pbkdf].each { |gem| require gem }
    rescue LoadError => e
      raise Stop, "unsupported key type `ssh-ed25519' (NotImplementedError)\nnet-ssh requires the following gems for " \
                  "ed25519 support:\n * ed25519 (>= 1.2, < 2.0)\n * bcrypt_pbkdf (>= 1.0, < 2.0)\n#{e.message}"
    end

    def require_sudo
      probe = run('sudo -n true')
      raise Stop, "Sudo failed: #{probe.stderr.lines.last.to_s.chomp}" unless probe.exit_status.zero?

      @sudo = 'sudo -n '
    end
  end
end
