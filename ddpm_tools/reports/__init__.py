"""What people read: pages and tables."""
