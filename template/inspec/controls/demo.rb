# frozen_string_literal: true

# Tests of the demo.

control 'demo-service' do
  impact 1.0
  title 'The demo service is installed and starts at boot'
  desc 'An image whose service does not start is useless.'

  describe file('/etc/systemd/system/multi-user.target.wants/demo.service') do
    it { should be_symlink }
    its('link_path') { should eq '/etc/systemd/system/demo.service' }
  end

  describe file('/etc/systemd/system/demo.service') do
    its('content') { should match(%r{^ExecStart=/usr/bin/python3 }) }
    its('content') { should match(/^DynamicUser=yes$/) }
  end
end

control 'demo-pages' do
  impact 1.0
  title 'The pages of the demo exist'
  desc 'A load balancer requests the health page.'

  describe file('/srv/demo/index.html') do
    it { should be_file }
    its('mode') { should cmp '0644' }
  end

  describe file('/srv/demo/healthz') do
    its('content') { should eq "ok\n" }
  end
end
