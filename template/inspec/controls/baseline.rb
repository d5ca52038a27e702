# frozen_string_literal: true

# Tests of the role baseline.

control 'baseline-time-sync' do
  impact 0.7
  title 'The system clock is synchronized'
  desc 'A wrong clock breaks TLS and the signatures of AWS requests.'

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
  title 'Security updates are installed automatically'
  desc 'Otherwise, instances that run for more than a day miss security fixes.'
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
  title 'The image contains a release file'
  desc 'Without the name, version and commit of the image, an instance cannot be traced to its build.'

  describe file('/etc/image-release') do
    its('content') { should match(/^IMAGE_NAME="[^"]+"$/) }
    its('content') { should match(/^IMAGE_VERSION="[^"]+"$/) }
    its('content') { should match(/^IMAGE_COMMIT="[^"]+"$/) }
    its('mode') { should cmp '0644' }
  end
end
