// SPDX-License-Identifier: GPL-2.0
/*
 * Drivers whose behaviour a test can set, for guests that are thrown away.
 *
 * Three PCI drivers, td0, td1 and td2, all match QEMU's "edu" card (1234:11e8), with driver_data 5, 6 and 7.
 * With a physical function td0 enables virtual ones and leaves them when it lets go, td1 disables them, td2 cannot.
 * A platform driver, tdplat, matches no device by itself, and the platform device anybind-test.0 has no driver:
 * only a driver_override brings the two together.
 *
 * The array parameters have one element for each of td0, td1, td2, tdplat, in this order; those that may be
 * written act on the next probe or remove. Writing fewer values than four leaves the others as they are.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/rtnetlink.h>
#include <linux/version.h>

#define PCI_DRIVERS 3
#define PLATFORM PCI_DRIVERS
#define DRIVERS (PCI_DRIVERS + 1)

static int probe_result[DRIVERS];
module_param_array(probe_result, int, NULL, 0644);
MODULE_PARM_DESC(probe_result, "what probe returns: 0, -errno (-517: deferred), or a positive number");

static char only_device[40];
module_param_string(only_device, only_device, sizeof(only_device), 0644);
MODULE_PARM_DESC(only_device, "if set, probe_result is for this device, and other probes succeed");

static char defer_reason[64];
module_param_string(defer_reason, defer_reason, sizeof(defer_reason), 0644);
MODULE_PARM_DESC(defer_reason, "what a probe that defers says that it waits for; empty: nothing");

static uint probe_delay[DRIVERS];
module_param_array(probe_delay, uint, NULL, 0644);
MODULE_PARM_DESC(probe_delay, "how long probe takes, in ms");

static uint remove_delay[DRIVERS];
module_param_array(remove_delay, uint, NULL, 0644);
MODULE_PARM_DESC(remove_delay, "how long remove takes, in ms");

static uint probe_count[DRIVERS];
module_param_array(probe_count, uint, NULL, 0644);
MODULE_PARM_DESC(probe_count, "how often probe was called");

static uint remove_count[DRIVERS];
module_param_array(remove_count, uint, NULL, 0644);
MODULE_PARM_DESC(remove_count, "how often remove was called");

static bool async[DRIVERS];
module_param_array(async, bool, NULL, 0444);
MODULE_PARM_DESC(async, "probe asynchronously (at load)");

static bool managed_dma[DRIVERS];
module_param_array(managed_dma, bool, NULL, 0444);
MODULE_PARM_DESC(managed_dma, "leave DMA to user space, as VFIO drivers do (at load)");

/* What a driver does whose remove never returns while it takes a network interface away. */
static int hold_rtnl(const char *text, const struct kernel_param *unused)
{
	uint ms;
	int error = kstrtouint(text, 0, &ms);

	if (error)
		return error;
	rtnl_lock();
	msleep(ms);
	rtnl_unlock();
	return 0;
}

static const struct kernel_param_ops hold_rtnl_ops = { .set = hold_rtnl };
module_param_cb(hold_rtnl, &hold_rtnl_ops, NULL, 0200);
MODULE_PARM_DESC(hold_rtnl, "a write holds the lock of all network interfaces for so many ms");

/* "1234:11e8 5": the id that the last probe was given, with its driver_data; "" before the first. */
static char probed_id[PCI_DRIVERS][40];
module_param_string(probed_id0, probed_id[0], sizeof(probed_id[0]), 0444);
module_param_string(probed_id1, probed_id[1], sizeof(probed_id[1]), 0444);
module_param_string(probed_id2, probed_id[2], sizeof(probed_id[2]), 0444);

static int probe_as_told(int number, struct device *dev)
{
	bool meant = sysfs_streq(only_device, "") || sysfs_streq(only_device, dev_name(dev));
	int result = meant ? probe_result[number] : 0;

	probe_count[number]++;
	if (probe_delay[number])
		msleep(probe_delay[number]);
	dev_info(dev, "test driver %d: probe returns %d\n", number, result);
	if (result == -EPROBE_DEFER && defer_reason[0])
		return dev_err_probe(dev, result, "%s\n", defer_reason);
	return result;
}

static void remove_as_told(int number, struct device *dev)
{
	remove_count[number]++;
	if (remove_delay[number])
		msleep(remove_delay[number]);
	dev_info(dev, "test driver %d: removed\n", number);
}

static int td_probe(struct pci_dev *pdev, const struct pci_device_id *id);
static void td_remove(struct pci_dev *pdev);

#define EDU_TABLE(data) \
	{ { PCI_DEVICE(0x1234, 0x11e8), .driver_data = (data) }, { 0 } }

static const struct pci_device_id td_ids[PCI_DRIVERS][2] = {
	EDU_TABLE(5), EDU_TABLE(6), EDU_TABLE(7)
};

#define TD(number, ...) { \
	.name = "td" #number, .id_table = td_ids[number], .probe = td_probe, .remove = td_remove, __VA_ARGS__ }

static int td_configure_functions(struct pci_dev *pdev, int count)
{
	int error;

	if (count == 0) {
		pci_disable_sriov(pdev);
		return 0;
	}
	error = pci_enable_sriov(pdev, count);
	return error ? error : count;
}

static struct pci_driver td[PCI_DRIVERS] = {
	TD(0, .sriov_configure = pci_sriov_configure_simple),
	TD(1, .sriov_configure = td_configure_functions),
	TD(2)
};

static int td_number(struct pci_dev *pdev)
{
	return container_of(pdev->dev.driver, struct pci_driver, driver) - td;
}

static int td_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	int number = td_number(pdev);

	snprintf(probed_id[number], sizeof(probed_id[number]), "%04x:%04x %lu", id->vendor, id->device,
		 id->driver_data);
	return probe_as_told(number, &pdev->dev);
}

static void td_remove(struct pci_dev *pdev)
{
	if (pdev->driver->sriov_configure == td_configure_functions)
		pci_disable_sriov(pdev);
	remove_as_told(td_number(pdev), &pdev->dev);
}

static int tdplat_probe(struct platform_device *pdev)
{
	return probe_as_told(PLATFORM, &pdev->dev);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
static void tdplat_remove(struct platform_device *pdev)
{
	remove_as_told(PLATFORM, &pdev->dev);
}
#else
static int tdplat_remove(struct platform_device *pdev)
{
	remove_as_told(PLATFORM, &pdev->dev);
	return 0;
}
#endif

static struct platform_driver tdplat = {
	.driver = { .name = "tdplat" }, .probe = tdplat_probe, .remove = tdplat_remove
};

static struct platform_device *test_device;

static void set_flags(int number, struct device_driver *driver)
{
	driver->probe_type = async[number] ? PROBE_PREFER_ASYNCHRONOUS : PROBE_FORCE_SYNCHRONOUS;
}

/* Unregisters td[count - 1] down to td[0]. */
static void unregister_td(int count)
{
	while (count--)
		pci_unregister_driver(&td[count]);
}

static int __init anybind_test_init(void)
{
	int number, error;

	for (number = 0; number < PCI_DRIVERS; number++) {
		set_flags(number, &td[number].driver);
		td[number].driver_managed_dma = managed_dma[number];
		error = pci_register_driver(&td[number]);
		if (error)
			goto no_td;
	}
	set_flags(PLATFORM, &tdplat.driver);
	tdplat.driver_managed_dma = managed_dma[PLATFORM];
	error = platform_driver_register(&tdplat);
	if (error)
		goto no_td;
	test_device = platform_device_register_simple("anybind-test", 0, NULL, 0);
	if (!IS_ERR(test_device))
		return 0;
	error = PTR_ERR(test_device);
	platform_driver_unregister(&tdplat);
no_td:
	unregister_td(number);
	return error;
}

static void __exit anybind_test_exit(void)
{
	platform_device_unregister(test_device);
	platform_driver_unregister(&tdplat);
	unregister_td(PCI_DRIVERS);
}

module_init(anybind_test_init);
module_exit(anybind_test_exit);
MODULE_DESCRIPTION("Drivers whose behaviour a test can set");
MODULE_LICENSE("GPL");
