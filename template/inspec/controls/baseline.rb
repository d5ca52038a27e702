# frozen_string_literal: true

# What the role baseline sets.

control 'baseline-time-sync' do
  impact 0.7
  title 'The clock is kept in time'
  desc 'A wrong clock breaks TLS and the signatures of AWS calls.'

  unit = os.debian? ? 'chrony.service' : 'chronyd.service'

  describe package('chrony') do
    it { should be_installed }
  end

  describe file("/etc/systemd/system/multi-user.target.wants/#{unit}") do
    it { should be_symlink }
  end
end

control 'baseline-security-updates' do
  impact 0.7
  title 'Security updates are installed unattended'
  desc 'Instances that live longer than a day miss fixes otherwise.'
  only_if('the role baseline installs security updates on this OS') do
    input('baseline_security_updates') && (os.debian? || os.name == 'redhat')
  end

  if os.debian?
    describe package('unattended-upgrades') do
      it { should be_installed }
    end

    describe file('/etc/apt/apt.conf.d/20auto-upgrades') do
      its('content') { should match(/^APT::Periodic::Unattended-Upgrade "1";$/) }
    end
  else
    describe file('/etc/dnf/automatic.conf') do
      its('content') { should match(/^upgrade_type = security$/) }
      its('content') { should match(/^apply_updates = yes$/) }
    end

    describe file('/etc/systemd/system/timers.target.wants/dnf-automatic.timer') do
      it { should be_symlink }
    end
  end
end

control 'baseline-release-file' do
  impact 0.3
  title 'The image says what it is'
  desc 'Without name, version and commit nobody can tell which build an instance came from.'

  describe file('/etc/image-release') do
    its('content') { should match(/^IMAGE_NAME="[^"]+"$/) }
    its('content') { should match(/^IMAGE_VERSION="[^"]+"$/) }
    its('content') { should match(/^IMAGE_COMMIT="[^"]+"$/) }
    its('mode') { should cmp '0644' }
  end
end
