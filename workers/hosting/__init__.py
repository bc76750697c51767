"""The batch host: processors on partitions, exactly once."""
